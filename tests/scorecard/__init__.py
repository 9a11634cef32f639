"""The reliability bars, the script that measures them, and the page that shows the results."""
