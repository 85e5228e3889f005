"""Values that people and programs give: read, checked and limited."""
