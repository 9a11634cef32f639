"""The comparison as text."""
def print_report(*a): print("later")
