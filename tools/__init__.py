"""What makes and checks the documentation. Not installed with the package."""
