"""How a database of one version becomes one of the next. New revisions are files in `versions`, never edited once released."""
