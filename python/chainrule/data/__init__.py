"""Data in: CSV with categories and line numbers in its errors, IDX files, the shipped digits, seeded splits and
batches.

One private file per concern; this file only lists what is public. To add a format, write a reader that returns plain
NumPy arrays and raises `DataError` with the place of the fault, and export it here.
"""

from ._csv import Table, read_csv, read_table
from ._errors import DataError, suggest
from ._idx import load_idx_folder, read_idx
from ._loader import DataLoader, Dataset, Subset, TensorDataset, random_split
from ._quantiles import median, quantile
from ._sets import load_digits
from ._split import batches, k_fold, split, train_test_split, train_validation_split

__all__ = [
    "DataError",
    "DataLoader",
    "Dataset",
    "Subset",
    "Table",
    "TensorDataset",
    "batches",
    "k_fold",
    "load_digits",
    "load_idx_folder",
    "median",
    "quantile",
    "random_split",
    "read_csv",
    "read_idx",
    "read_table",
    "split",
    "suggest",
    "train_test_split",
    "train_validation_split",
]
