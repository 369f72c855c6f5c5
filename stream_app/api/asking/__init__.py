"""What is asked, and the answer: parameters checked and typed (`parameters`), the window that is meant (`windows`), the store that answers (`answers`)."""
