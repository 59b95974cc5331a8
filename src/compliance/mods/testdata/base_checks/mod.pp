mod "base_checks" {
  title = "Base Checks"
}

variable "max_age" {
  type    = number
  default = 1
}

control "shared" {
  title = "Shared by several mods"
  sql   = "select 'x' as resource, 'ok' as status, 'at most ${var.max_age}' as reason"
}
