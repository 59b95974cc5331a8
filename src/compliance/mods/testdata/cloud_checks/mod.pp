mod "cloud_checks" {
  title       = "Cloud Checks"
  description = "A small mod that has a bit of everything."
  color       = "#336699"
  categories  = ["test"]

  opengraph {
    title = "Cloud Checks"
  }

  require {
    plugin "aws" {
      min_version = "1.0.0"
    }
    mod "example.com/mods/base-mod-base_checks" {
      version = "^1.0"
      args = {
        max_age = var.days + 5
      }
    }
  }
}
