#!/usr/bin/env python3
"""Writes a mod with the structure of the large published compliance mods, but with names, texts and SQL of our own.

    python3 tests/mods/synthetic.py aws|azure FOLDER

Files, blocks, expressions and sizes are those of the field: about 1,600 controls over 680 queries (aws) or 490 (azure), more than 40 top benchmarks,
tags merged over several files, documentation in Markdown, variables that become columns, dashboards with everything that can be in one.
The same arguments give the same bytes.
"""
import pathlib
import sys

KINDS = {
    "aws": {
        "mod": "aws_compliance",
        "title": "AWS Checks",
        "queries": 680,
        "dimensions": ["account_id", "region"],
        "tags": "tags",
        # tables that exist here, with a column for the resource, one to judge and one to print
        "known": [("aws_iam_user", "arn", "mfa_enabled", "name"), ("aws_iam_role", "arn", "max_session_duration > 3600", "name"),
                  ("aws_s3_bucket", "arn", "versioning_enabled", "name"), ("aws_kms_key", "arn", "key_rotation_enabled", "title"),
                  ("aws_cloudtrail_trail", "arn", "log_file_validation_enabled", "title"), ("aws_ec2_instance", "arn", "instance_state = 'stopped'", "title")],
        "services": ["accessanalyzer", "acm", "apigateway", "appstream", "athena", "autoscaling", "backup", "cloudformation", "cloudfront", "cloudtrail", "cloudwatch", "codebuild",
                     "codedeploy", "config", "dax", "dms", "docdb", "dynamodb", "ebs", "ec2", "ecr", "ecs", "efs", "eks", "elasticache", "elasticbeanstalk", "elb", "emr", "es",
                     "eventbridge", "fsx", "glacier", "glue", "guardduty", "iam", "kinesis", "kms", "lambda", "mq", "msk", "neptune", "networkfirewall", "opensearch",
                     "organizations", "rds", "redshift", "route53", "s3", "sagemaker", "secretsmanager", "securityhub", "sfn", "sns", "sqs", "ssm", "vpc", "waf", "workspaces"],
        "cis": ["v120", "v130", "v140", "v150", "v200", "v300", "v400"],
        "frameworks": ["acsc_essential_eight", "audit_manager_control_tower", "cis_compute_service_v100", "cis_controls_v8_ig1", "cisa_cyber_essentials", "fedramp_low_rev_4",
                       "fedramp_moderate_rev_4", "ffiec", "foundational_security", "gdpr", "gxp_21_cfr_part_11", "gxp_eu_annex_11", "hipaa_final_omnibus_security_rule_2013",
                       "hipaa_security_rule_2003", "nist_800_171_rev_2", "nist_800_172", "nist_800_53_rev_4", "nist_800_53_rev_5", "nist_csf", "nist_csf_v2", "nydfs_23",
                       "pci_dss_v321", "pci_dss_v40", "rbi_cyber_security", "rbi_itf_nbfc", "soc_2"],
    },
    "azure": {
        "mod": "azure_compliance",
        "title": "Azure Checks",
        "queries": 490,
        "dimensions": ["subscription_id", "resource_group"],
        "tags": "tags",
        "known": [("azure_storage_account", "id", "enable_https_traffic_only", "name"), ("azure_key_vault", "id", "purge_protection_enabled", "name"),
                  ("azure_compute_disk", "id", "encryption_type is not null", "name"), ("azure_network_security_group", "id", "name is null", "name")],
        "services": ["activedirectory", "aks", "apimanagement", "appconfiguration", "appservice", "arc", "automation", "batch", "cognitivesearch", "cognitiveservice", "compute",
                     "containerinstance", "containerregistry", "cosmosdb", "databox", "databricks", "datafactory", "datalakeanalytics", "eventgrid", "eventhub", "frontdoor",
                     "hdinsight", "healthcareapis", "hpccache", "iam", "iot", "keyvault", "kusto", "logic", "mariadb", "monitor", "mysql", "network", "postgres", "recoveryservice",
                     "redis", "search", "securitycenter", "servicebus", "servicefabric", "signalr", "spring", "sql", "storage", "streamanalytics", "synapse"],
        "cis": ["v130", "v140", "v150", "v200", "v210", "v300"],
        "frameworks": ["fedramp_high", "fundamental_security", "hipaa_hitrust_v92", "nist_sp_800_171_rev_2", "nist_sp_800_53_rev_5", "pci_dss_v321", "rbi_itf_nbfc_v2017", "regulatory_a",
                       "regulatory_b", "regulatory_c", "regulatory_d", "regulatory_e", "regulatory_f", "regulatory_g", "regulatory_h", "regulatory_i", "regulatory_j", "regulatory_k",
                       "regulatory_l", "regulatory_m", "regulatory_n", "regulatory_o", "regulatory_p", "regulatory_q", "regulatory_r", "regulatory_s", "regulatory_t",
                       "regulatory_u", "regulatory_v", "regulatory_w", "regulatory_x"],
    },
}
CONTROLS = 1600
CHECKS = ["encryption_at_rest", "logging_enabled", "public_access_blocked", "tls_enforced", "backup_configured", "deletion_protected", "least_privilege", "tags_present",
          "not_outdated", "private_endpoint", "multi_zone", "key_rotated"]


def words(name):
    return name.replace("_", " ").capitalize()


class Mod:
    def __init__(self, kind, folder):
        self.kind, self.about, self.folder = kind, KINDS[kind], pathlib.Path(folder)
        self.prefix = f"{kind}_compliance"
        self.queries = []
        self.controls = 0

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def build(self):
        self.mod_file()
        self.variables()
        self.checks()
        for version in self.about["cis"]:
            self.cis(version)
        self.rest()
        for n, framework in enumerate(self.about["frameworks"]):
            self.framework(framework, n)
        self.all_controls()
        self.dashboards()
        return self

    def mod_file(self):
        self.write("mod.pp", f'''mod "{self.about["mod"]}" {{
  # Hub metadata
  title         = "{self.about["title"]}"
  description   = "Checks of {self.kind.upper()} accounts: frameworks, \\"best practices\\" and more."
  color         = "#FF9900"
  documentation = file("./docs/index.md")
  icon          = "/images/mods/example/{self.kind}.svg"
  categories    = ["{self.kind}", "cis", "compliance", "public cloud", "security"]

  opengraph {{
    title       = "Powerpipe mod for {self.kind.upper()}"
    description = "Checks."
    image       = "/images/mods/example/{self.kind}-social.png"
  }}

  require {{
    plugin "{self.kind}" {{
      min_version = "0.101.0"
    }}
  }}
}}
''')
        self.write("docs/index.md", f"# {self.about['title']}\n\nHow to start, with `code` and **words**.\n")
        self.write("README.md", "# Not a block\n")
        self.write("CHANGELOG.md", "## v0.1\n")
        self.write(".gitignore", "*.auto.ppvars\n")

    def variables(self):
        first, second = self.about["dimensions"]
        self.write("variables.pp", f'''// Benchmarks and controls for specific services should override the "service" tag
locals {{
  {self.prefix}_common_tags = {{
    category = "Compliance"
    plugin   = "{self.kind}"
    service  = "{self.kind.upper()}"
  }}
}}

variable "common_dimensions" {{
  type        = list(string)
  description = "A list of common dimensions to add to each control."
  # Define which common dimensions should be added to each control.
  # - {first}
  # - connection_name (_ctx ->> 'connection_name')
  # - {second}
  default = ["{first}", "{second}"]
}}

variable "tag_dimensions" {{
  type        = list(string)
  description = "A list of tags to add as dimensions to each control."
  # A list of tag names to include as dimensions for resources that support
  # tags (e.g. "owner", "environment"). Default to empty since tag names are
  # a personal choice
  default = []
}}

/* The limits of
   some checks */
variable "limits" {{
  type    = map(number)
  default = {{ days = 90, hours : 12 }}
  tags = {{
    folder = "Advanced"
  }}
}}

variable "settings" {{
  type = object({{
    regions = list(string)
    strict  = optional(bool, true)
  }})
  default = {{
    regions = ["eu-west-1", "us-east-1"]
    note    = "read over"
  }}
}}

variable "level" {{
  type    = string
  default = "high"
  enum    = ["low", "high"]
}}

variable "minimum" {{
  type    = number
  default = "14"
}}

variable "verbose" {{
  type    = bool
  default = false
}}

variable "anything" {{
  type    = any
  default = null
}}

variable "untyped" {{ default = ["a", "b"] }}

locals {{

  # Local internal variable to build the SQL select clause for common
  # dimensions using a table name qualifier if required. Do not edit directly.
  common_dimensions_qualifier_sql = <<-EOQ
  %{{~ if contains(var.common_dimensions, "connection_name") }}, __QUALIFIER___ctx ->> 'connection_name' as connection_name%{{ endif ~}}
  %{{~ if contains(var.common_dimensions, "{second}") }}, __QUALIFIER__{second}%{{ endif ~}}
  %{{~ if contains(var.common_dimensions, "{first}") }}, __QUALIFIER__{first}%{{ endif ~}}
  EOQ

  common_dimensions_loop_sql = <<-EOQ
  %{{- for dim in var.common_dimensions }}
    , __QUALIFIER__${{dim}} as "${{dim}}"
  %{{ endfor ~}}
  EOQ

  # Local internal variable to build the SQL select clause for tag
  # dimensions. Do not edit directly.
  tag_dimensions_qualifier_sql = <<-EOQ
  %{{~ for dim in var.tag_dimensions }},  __QUALIFIER__tags ->> '${{dim}}' as "${{replace(dim, "\\"", "\\"\\"")}}"%{{ endfor ~}}
  EOQ

}}

locals {{

  # Local internal variable with the full SQL select clause for common
  # dimensions. Do not edit directly.
  common_dimensions_sql        = replace(local.common_dimensions_qualifier_sql, "__QUALIFIER__", "")
  common_dimensions_global_sql = replace(local.common_dimensions_qualifier_global_sql, "__QUALIFIER__", "")
  tag_dimensions_sql           = replace(local.tag_dimensions_qualifier_sql, "__QUALIFIER__", "")

}}

locals {{
  common_dimensions_qualifier_global_sql = <<-EOQ
  %{{~ if contains(var.common_dimensions, "{first}") }}, __QUALIFIER__{first}%{{ endif ~}}
  EOQ
}}
'''.replace("%{-", "%{~"))

    # a query's SQL in the manners of the field
    def sql(self, service, check, n):
        known = self.about["known"]
        if n % 9 == 0 and n // 9 < len(known):
            table, resource, judged, shown = known[n // 9]
            glob = table.startswith("aws_iam") or table.startswith("azure")
            dims = "local.common_dimensions_global_sql" if table.startswith("aws_iam") else "local.common_dimensions_sql"
            del glob
            return f'''    select
      -- Required Columns
      {resource} as resource,
      case
        when {judged} then 'ok'
        else 'alarm'
      end as status,
      case
        when {judged} then {shown} || ' is fine.'
        else {shown} || ' is not fine.'
      end as reason
      -- Additional Dimensions
      ${{local.tag_dimensions_sql}}
      ${{{dims}}}
    from
      {table};
'''
        table = f"{self.kind}_{service}_{check}"
        style = n % 6
        if style == 0:
            return f'''    with items as (
      select
        distinct r.arn,
        jsonb_array_elements(r.policy_std -> 'Statement') as statement
      from
        {table} as r
      where
        r.tags ->> 'a' ~ '^\\d+$' and r.title like '%x%' -- a comment
    )
    select
      -- Required Columns
      a.arn as resource,
      case
        when i.arn is null then 'ok'
        else 'alarm'
      end as status,
      case
        when i.arn is null then title || ' has ${{local.{service}_words}}.'
        else title || ' has not ' || (select count(*) from items) || '.'
      end as reason
      -- Additional Dimensions
      ${{replace(local.tag_dimensions_qualifier_sql, "__QUALIFIER__", "a.")}}
      ${{replace(local.common_dimensions_qualifier_sql, "__QUALIFIER__", "a.")}}
    from
      {table} as a
      left join items as i on a.arn = i.arn;
'''
        if style == 1:
            return f'''    select
      arn as resource,
      case
        when not enabled then 'skip'
        when days_between(now(), created_at) > $1::int then 'alarm'
        else 'ok'
      end as status,
      title || ' is ' || (current_date - created_at::date) || ' days old, at most ' || $1 || '.' as reason
      ${{local.tag_dimensions_sql}}
      ${{local.common_dimensions_sql}}
    from
      {table}
    where
      region = any ($2);
'''
        if style == 2:
            return f'''    select
      'arn:' || partition || ':::' || account_id as resource,
      case
        when settings -> 'Rules' @> '[{{"Name": "a"}}]' then 'ok'
        else 'alarm'
      end as status,
      '$${{literal}}' || e'\\n' || 'a''b' || "Quoted" || '%%{{ not a directive }}' as reason
      ${{join("", [for d in var.common_dimensions : ", ${{d}}"])}}
    from
      {table}
    order by
      title;
'''
        if style == 3:
            return f'''    (
      select arn as resource, 'ok' as status, 'one' as reason, region, account_id from {table} where a = '{{}}'
    )
    union all
    select
      arn, 'info', '${{var.level == "high" ? "strict" : "loose"}}, ${{var.limits["days"]}} days, ${{var.limits.hours}} hours, ${{try(var.anything.x, "none")}}',
      region, account_id
    from {table} as t, jsonb_array_elements(t.items) as i
    where i ->> 'Key' in ('${{join("', '", var.untyped)}}')
'''
        if style == 4:
            return f'''    select
      id as resource,
      case when coalesce(size, 0) >= {n} then 'ok' else 'alarm' end as status,
      name || ' has ' || coalesce(size::text, 'no') || ' items.' as reason
      ${{local.common_dimensions_sql}}
    from {table}
    cross join lateral (select count(*) as size from jsonb_object_keys(doc)) as k
'''
        return f'''    select
      arn as resource,
      case
        when status = 'ACTIVE'
          and encrypted
          and (kms_key_id is not null or '{{"a": 1}}'::jsonb ? 'a')
          then 'ok'
        else 'alarm'
      end as status,
      case
        when status = 'ACTIVE' then title || ' encrypted.'
        else title || ' not encrypted.'
      end as reason
      ${{local.tag_dimensions_sql}}
      ${{local.common_dimensions_sql}}
    from
      {table};
'''

    def checks(self):
        """conformance_pack/: for each service its tags, controls, and the queries that controls of all frameworks share."""
        services, total = self.about["services"], self.about["queries"]
        for s, service in enumerate(services):
            mine = total // len(services) + (1 if s < total % len(services) else 0)
            out = [f'''locals {{
  conformance_pack_{service}_common_tags = merge(local.{self.prefix}_common_tags, {{
    service = "{self.kind.upper()}/{service.upper()}"
  }})
  {service}_words = lower("{service} Rules")
}}
''']
            queries = []
            for i in range(mine):
                check = CHECKS[i % len(CHECKS)] + (f"_{i // len(CHECKS)}" if i >= len(CHECKS) else "")
                name, n = f"{service}_{check}", len(self.queries)
                self.queries.append((service, name))
                severity = ['"low"', '"medium"', '"high"', '"critical"', None][n % 5]
                documentation = ""
                if n % 4 == 0:
                    self.write(f"conformance_pack/docs/{name}.md", f"## Description\n\n{words(name)}.\n\n" + "Words about it, and more words.\n" * 12)
                    documentation = f'\n  documentation = file("./conformance_pack/docs/{name}.md")'
                out.append(f'''control "{name}" {{
  title       = "{service.upper()} {words(check)} should be so"
  description = "Ensure that {service} has {words(check).lower()}. This control is non-compliant if it is \\"not\\"."
  query       = query.{name}{f"{chr(10)}  severity    = {severity}" if severity else ""}{documentation}

  tags = merge(local.conformance_pack_{service}_common_tags, {{
    {", ".join(f'{f} = "true"' for f in self.about["frameworks"][n % 7:n % 7 + 3]) if n % 3 else f"{self.about['frameworks'][n % 5]} = true{chr(10)}    gdpr_like = 1"}
  }})
}}
''')
                params = ""
                if n % 6 == 1:
                    params = f'''

    param "max_age_days" {{
      description = "The maximum age."
      default     = {"var.limits.days" if n % 12 == 1 else 90}
    }}

    param "regions" {{
      default = var.settings.regions
    }}'''.replace("\n    ", "\n  ")
                anchor = "<<EOQ" if n % 10 == 7 else "<<-EOQ"
                extra = '\n  search_path_prefix = "x"' if n % 50 == 3 else ""
                queries.append(f'''query "{name}" {{{extra}
  sql = {anchor}
{self.sql(service, check, n)}{"" if anchor == "<<EOQ" and n % 20 == 7 else "  "}EOQ{params}
}}
''')
                self.controls += 1
            self.write(f"conformance_pack/{service}.{'sp' if s % 10 == 9 else 'pp'}", "\n".join(out + queries))

    def cis(self, version):
        number = f"v{version[1]}.{version[2]}.{version[3]}"
        tags = f"cis_{version}_common_tags"
        sections = 5
        self.write(f"cis_{version}/cis.pp", f'''locals {{
  {tags} = merge(local.{self.prefix}_common_tags, {{
    cis         = "true"
    cis_version = "{number}"
  }})
}}

benchmark "cis_{version}" {{
  title         = "CIS {number}"
  description   = "Recommendations for {self.kind.upper()}, version {number}."
  documentation = file("./cis_{version}/docs/cis_overview.md")
  children = [
{f",{chr(10)}".join(f"    benchmark.cis_{version}_{s}" for s in range(1, sections + 1))}
  ]

  tags = merge(local.{tags}, {{
    type = "Benchmark"
  }})
}}
''')
        self.write(f"cis_{version}/docs/cis_overview.md", f"# Overview\n\nOf {number}.\n")
        for s in range(1, sections + 1):
            service, _ = self.queries[s * 90]
            out = [f'''locals {{
  cis_{version}_{s}_common_tags = merge(local.{tags}, {{
    cis_section_id = "{s}"
    service        = "{self.kind.upper()}/{service.upper()}"
  }})
}}

benchmark "cis_{version}_{s}" {{
  title         = "{s} {words(service)}"
  documentation = file("./cis_{version}/docs/cis_{version}_{s}.md")
  children = [
''']
            count = 10
            inner = f"    benchmark.cis_{version}_{s}_1," if s == 2 else ""
            children = [f"    control.cis_{version}_{s}_{i}" for i in range(2 if s == 2 else 1, count + 1)]
            out[0] += (inner + "\n" if inner else "") + ",\n".join(children) + f'''
  ]

  tags = merge(local.cis_{version}_{s}_common_tags, {{
    type    = "Benchmark"
  }})
}}
'''
            self.write(f"cis_{version}/docs/cis_{version}_{s}.md", "## Overview\n\nThis section.\n")
            if s == 2:
                out.append(f'''benchmark "cis_{version}_2_1" {{
  title    = "2.1 Inner"
  children = [control.cis_{version}_2_1, control.cis_{version}_2_1_2,]
  tags     = local.cis_{version}_2_common_tags
}}
''')
            for i in list(range(1, count + 1)) + (["1_2"] if s == 2 else []):
                _, query = self.queries[(s * 37 + (i if isinstance(i, int) else 11) * 13) % len(self.queries)]
                item = f"{s}.{str(i).replace('_', '.')}"
                manual = i == 3
                out.append(f'''control "cis_{version}_{s}_{i}" {{
  title         = "{item} Ensure {words(query).lower()}"
  description   = "A sentence with \\"quotes\\", a tab\\t and 100%."
  {"query         = query.manual_control" if manual else f"query         = query.{query}"}
  documentation = file("./cis_{version}/docs/cis_{version}_{s}_{i}.md")

  tags = merge(local.cis_{version}_{s}_common_tags, {{
    cis_item_id = "{item}"
    cis_level   = "{1 + s % 2}"
    cis_type    = "{"manual" if manual else "automated"}"
    service     = "{self.kind.upper()}/{service.upper()}"
  }})
}}
''')
                self.write(f"cis_{version}/docs/cis_{version}_{s}_{i}.md", f"## Description\n\n{item}\n\n" + "Text of the item, with `code`.\n" * 25)
                self.controls += 1
            self.write(f"cis_{version}/section_{s}.pp", "\n".join(out))
        if version == self.about["cis"][0]:
            self.write("manual_control.pp", f'''query "manual_control" {{
  sql = <<-EOQ
    select
      'arn:' || account_id as resource,
      'info' as status,
      'Manual verification required.' as reason
      ${{local.common_dimensions_global_sql}}
    from
      {self.kind}_{"account" if self.kind == "aws" else "subscription"};
  EOQ
}}
''')

    def rest(self):
        """Controls of a framework of its own, until there are enough: SQL inside of controls, arguments by name and by position."""
        service = self.about["services"][0]
        ids, out, n = [], [f'''locals {{
  pci_own_common_tags = merge(local.{self.prefix}_common_tags, {{ pci_own = "true" }})
}}
'''], 0
        with_params = [q for i, (_, q) in enumerate(self.queries) if i % 6 == 1]
        while self.controls < CONTROLS:
            name = f"pci_own_{n}"
            if n % 3 == 0:
                question = f"  query = query.{self.queries[n % len(self.queries)][1]}"
            elif n % 3 == 1:
                args = "[30, [\"eu-west-1\"]]" if n % 2 else "{\n    max_age_days = 30\n    \"regions\"    = concat(var.settings.regions, [\"x\"])\n  }"
                question = f"  query = query.{with_params[n % len(with_params)]}\n  args  = {args}"
            else:
                question = f'''  sql = <<-EOT
    select
      $1 as resource, 'ok' as status, 'It''s ${{var.minimum + {n}}}.' as reason, '${{replace("a.b", "/\\\\./", "-")}}' as extra
  EOT

  param "what" {{
    description = "What to print."
    default     = "{n}"
  }}'''
            out.append(f'control "{name}" {{\n  title    = format("PCI %d.%d %s", {n // 20}, {n % 20}, title("own control"))\n{question}\n  severity = "{["low", "high"][n % 2]}"\n'
                       f'  tags     = merge(local.pci_own_common_tags, {{ service = "{self.kind.upper()}/{service.upper()}", pci_item = "{n}" }})\n}}\n')
            ids.append(name)
            self.controls += 1
            n += 1
        groups = [ids[i:i + 20] for i in range(0, len(ids), 20)]
        for g, group in enumerate(groups):
            children = ",\n".join(f"    control.{i}" for i in group)
            out.append(f'benchmark "pci_own_{g + 1:02}_group" {{\n  title    = "Requirement {g + 1}"\n  children = [\n{children}\n  ]\n  tags = local.pci_own_common_tags\n}}\n')
        children = ",\n".join(f"    benchmark.pci_own_{g + 1:02}_group" for g in range(len(groups)))
        out.append(f'benchmark "pci_own" {{\n  title    = "PCI own"\n  children = [\n{children}\n  ]\n\n  tags = merge(local.pci_own_common_tags, {{\n    type = "Benchmark"\n  }})\n}}\n')
        self.write("pci_own/pci_own.pp", "\n".join(out))

    def framework(self, name, n):
        tags = f"{name}_common_tags"
        count, size = 4 + n % 6, 6 + n % 9
        self.write(f"{name}/{name}.pp", f'''locals {{
  {tags} = merge(local.{self.prefix}_common_tags, {{
    {name} = "true"
    type = "Benchmark"
  }})
}}

benchmark "{name}" {{
  title         = "{words(name)}"
  description   = "To {words(name)}."
  documentation = file("./{name}/docs/{name}_overview.md")

  children = [
{f",{chr(10)}".join(f"    benchmark.{name}_{g}" for g in range(count))}
  ]

  tags = local.{tags}
}}
''')
        self.write(f"{name}/docs/{name}_overview.md", f"To obtain the latest version of {name}, see there.\n")
        for g in range(count):
            leaves = [self.queries[(n * 53 + g * 17 + i * 7) % len(self.queries)][1] for i in range(size)]
            deeper = f"    benchmark.{name}_{g}_deeper,\n" if g == 1 else ""
            text = f'''benchmark "{name}_{g}" {{
  title       = "{g}: {words(name)}"
  description = "Part {g}."
  children = [
{deeper}{f",{chr(10)}".join(f"    control.{leaf}" for leaf in sorted(set(leaves)))}
  ]

  tags = local.{tags}
}}
'''
            if deeper:
                text += f'''
benchmark "{name}_{g}_deeper" {{
  title    = "Deeper"
  children = [benchmark.{name}_{g}_deepest]
  tags     = merge(local.{tags}, {{ {name}_item_id = "{g}.1" }})
}}

benchmark "{name}_{g}_deepest" {{
  title = "Deepest"
  children = [
    control.{leaves[0]}, # the first
    control.{leaves[1]}  // and the second
  ]
}}
'''
            self.write(f"{name}/section_{g}.pp", text)

    def all_controls(self):
        by_service = {}
        for service, query in self.queries:
            by_service.setdefault(service, []).append(query)
        self.write("all_controls/all_controls.pp", f'''locals {{
  all_controls_common_tags = merge(local.{self.prefix}_common_tags, {{
    type = "Benchmark"
  }})
}}

benchmark "all_controls" {{
  title       = "All Controls"
  description = "This benchmark contains all controls grouped by service."
  children = [
{f",{chr(10)}".join(f"    benchmark.all_controls_{s}" for s in by_service)}
  ]

  tags = merge(local.all_controls_common_tags, {{
    type = "Benchmark"
  }})
}}
''')
        for service, queries in by_service.items():
            self.write(f"all_controls/{service}.pp", f'''locals {{
  all_controls_{service}_common_tags = merge(local.all_controls_common_tags, {{
    service = "{self.kind.upper()}/{service.upper()}"
  }})
}}

benchmark "all_controls_{service}" {{
  title       = "{words(service)}"
  description = "Controls of {service}."
  children = [
{f",{chr(10)}".join(f"    control.{q}" for q in queries)}
  ]

  tags = merge(local.all_controls_{service}_common_tags, {{ type = "Benchmark" }})
}}
''')

    def dashboards(self):
        first = self.queries[0][1]
        self.write("dashboards/overview.pp", f'''locals {{
  dashboard_common_tags = {{ service = "{self.kind}" }}
  icon_color            = "#123456"
}}

category "thing" {{
  title = "Thing"
  color = local.icon_color
  href  = "/{self.about["mod"]}.dashboard.overview?input.thing={{{{.properties.'ARN' | @uri}}}}"
  icon  = "apps"
}}

card "total" {{
  sql   = query.{first}.sql
  width = 2
  type  = "info"
}}

dashboard "overview" {{
  title         = "Overview"
  documentation = file("./dashboards/docs/overview.md")
  tags          = merge(local.dashboard_common_tags, {{ type = "Dashboard" }})

  input "thing" {{
    title = "Select a thing:"
    query = query.{first}
    width = 4
    option "a" {{ label = "A" }}
  }}

  with "things" {{
    query = query.{first}
    args  = [self.input.thing.value]
  }}

  container {{
    card {{
      base  = card.total
      query = query.{first}
      args  = {{ arn = self.input.thing.value }}
    }}

    chart {{
      type     = "donut"
      grouping = "compare"
      title    = "By ${{var.level}}"
      sql      = <<-EOQ
        select 'a', $1
      EOQ
      args     = [with.things.rows[*].arn, with.things.rows[0].arn]
      legend {{ position = "bottom" }}
      series "count" {{
        point "ok" {{ color = "ok" }}
      }}
      axes {{
        x {{
          labels {{ display = "auto" }}
        }}
      }}
    }}

    table {{
      column "arn" {{ display = "none" }}
      sql = "select ${{self.input.thing.value}}"
    }}

    graph {{
      node {{
        category = category.thing
        base     = node.thing
        args     = {{ ids = with.things.rows[*].id }}
      }}
      edge {{ base = edge.thing }}
    }}

    flow {{
      sql = "select 1"
    }}

    hierarchy {{
      sql = "select 1"
    }}

    image {{
      src = "https://example.com/x.png"
    }}

    text {{
      value = <<-EOM
        ### Hello $${{name}}
      EOM
    }}

    benchmark {{
      base = benchmark.all_controls
    }}
  }}
}}

node "thing" {{
  category = category.thing
  sql      = "select 1"
  param "ids" {{}}
}}

edge "thing" {{
  title = "to"
  sql   = "select 1"
}}

chart "thing" {{ sql = "select 1" }}
table "thing" {{ sql = "select 1" }}
text "thing" {{ value = "x" }}
image "thing" {{ src = "x" }}
input "thing" {{ sql = "select 1" }}
container "thing" {{}}
flow "thing" {{}}
graph "thing" {{}}
hierarchy "thing" {{}}
''')
        self.write("dashboards/docs/overview.md", "Words.\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    mod = Mod(sys.argv[1], sys.argv[2]).build()
    print(f"{mod.about['mod']}: {mod.controls} controls, {len(mod.queries) + 1} queries")
