"""Fixed points of maps that are known from independent samples, with their errors."""
