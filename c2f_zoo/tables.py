"""Tables as text."""


def table(rows, header):
    """Lay out rows as the lines of a table: text to the left, numbers to the right.

    Args:
        rows: Rows of str, int, float or None.
        header: Titles of the columns.

    Returns:
        List of lines, the first two of them the header.

    Example:
        >>> table([["a", 1], ["bc", None]], ["name", "count"])
        ['name  count', '----  -----', 'a         1', 'bc        -']
    """
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in header]
    numeric = [all(not isinstance(cell, str) for cell in column) for column in columns]
    columns = [[title, *_cells(column)] for title, column in zip(header, columns, strict=True)]
    cells = [list(row) for row in zip(*columns, strict=True)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    ]


def _cells(column):
    """Return the cells of a column as text, fractions with one number of digits."""
    known = [cell for cell in column if isinstance(cell, float) and cell == cell]
    digits = 3 if any(0 < abs(cell) < 1 for cell in known) else 2

    def as_text(cell):
        if cell is None or cell != cell:
            return "-"
        if isinstance(cell, float):
            return f"{cell:.{digits}f}"
        return f"{cell:,}" if isinstance(cell, int) else str(cell)

    return [as_text(cell) for cell in column]
