"""What a user looks at: pictures of the predicted secondary structure."""
