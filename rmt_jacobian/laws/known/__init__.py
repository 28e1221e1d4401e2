"""Laws with closed forms, their notation and their units; atoms and samples as laws."""
