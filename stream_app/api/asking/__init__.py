"""Questions and answers: parameters (`parameters`), windows of time (`windows`), the store that answers (`answers`)."""
