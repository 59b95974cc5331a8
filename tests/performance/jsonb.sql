-- The documents, then the statements that are timed.
select jsonb_build_object('Id', i, 'Arn', 'arn:aws:service:eu-west-1:123456789012:thing/' || i, 'Name', 'thing-' || i,
    'State', case when i % 3 = 0 then 'active' else 'stopped' end,
    'Tags', jsonb_build_array(jsonb_build_object('Key', 'Env', 'Value', 'prod'), jsonb_build_object('Key', 'Owner', 'Value', 'team-' || i % 100)),
    'Config', jsonb_build_object('Enabled', i % 2 = 0, 'Size', i % 1000, 'Nested', jsonb_build_object('Deep', 'v' || i % 7)),
    'VersionId', i % 10, 'Description', repeat('lorem ipsum ', 50)) as j
from generate_series(1, :rows) i;

select count(j ->> 'Name') from documents;

select count(*) from documents where j ->> 'State' = 'active';

select count(j ->> 'Description') from documents;

select count(j ->> 'NotThere') from documents;

select count(j -> 'Config' -> 'Nested' ->> 'Deep') from documents;

select count(j -> 'Tags' -> 1 ->> 'Value') from documents;

select count(j #>> '{Config,Nested,Deep}') from documents;

select j ->> 'State', count(*) from documents group by 1;
