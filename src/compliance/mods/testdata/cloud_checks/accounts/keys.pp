locals {
  keys_title = "Keys"
}

benchmark "keys" {
  title         = "${local.keys_title} of users"
  description   = "How keys are kept."
  documentation = file("./docs/keys.md")
  children = [
    control.key_age,
    control.key_age_strict,
    benchmark.keys_more
  ]
  tags = merge(local.iam_tags, { type = "Benchmark" })
}

benchmark "keys_more" {
  title    = "More about ${lower(local.keys_title)}"
  children = concat([control.key_listed], [for c in [base_checks.control.shared] : c])
}

control "key_age" {
  title       = "Keys must be changed after ${var.days} days"
  description = "Old keys have been in many hands."
  severity    = "High"
  query       = query.key_age
  tags        = local.iam_tags
}

control "key_age_strict" {
  title    = "Keys must be changed after ten days"
  severity = "medium"
  query    = query.key_age
  args     = [10]

  tags = merge(local.iam_tags, {
    plugin = "aws"
    level  = 2
  })
}

control "key_listed" {
  title = title("keys are listed")
  sql   = <<-EOQ
    select
      'key' as resource, -- a comment ends here
      case when $1 = any($2) then 'ok' else 'alarm' end as status,
      'There are ' || $1 as reason
  EOQ

  param "one" {
    description = "A word."
    default     = "a"
  }

  param "all" {
    default = ["a", "b"]
  }

  args = {
    all = ["a", "c"]
  }
}

query "key_age" {
  sql = <<-EOQ
    select
      k.name as resource,
      case when k.days > $1 then 'alarm' else 'ok' end as status,
      k.name || ' is ' || k.days || ' days old' as reason
      ${replace(local.tag_dimensions, "__TABLE__", "k.")}
      ${replace(local.dimensions, "__TABLE__", "k.")}
    from
      (select 'one' as name, 90 as days, '{"owner": "ana"}'::jsonb as tags, 'eu-west-1' as region, '123456789012' as account_id) as k;
  EOQ

  param "max_days" {
    description = "Days."
    default     = var.days
  }
}

dashboard "overview" {
  title = "Overview"

  input "account" {
    query = query.unknown
  }

  card {
    sql = "select ${self.input.account.value}"
  }
}

dashboard "detail" {
}

card "total" {
  sql = query.key_age.sql
}
