"""What a person looks at: heat maps and reports."""
