variable "days" {
  type        = number
  default     = 85
  description = "Days after which a key is old."
}

variable "common_dimensions" {
  type    = list(string)
  default = ["account_id", "region"]
}

variable "tag_dimensions" {
  type    = list(string)
  default = ["owner"]
}

locals {
  common_tags = {
    category = "Compliance"
    cloud    = "AWS"
  }

  iam_tags = merge(local.common_tags, {
    service = "AWS/IAM"
  })

  # One column for each dimension that was asked for, with a place for the table's name.
  dimensions = <<-EOQ
  %{~ if contains(var.common_dimensions, "region") }, __TABLE__region%{ endif ~}
  %{~ if contains(var.common_dimensions, "account_id") }, __TABLE__account_id%{ endif ~}
  EOQ

  tag_dimensions = <<-EOQ
  %{~ for tag in var.tag_dimensions }, __TABLE__tags ->> '${tag}' as "${replace(tag, "\"", "\"\"")}"%{ endfor ~}
  EOQ
}
