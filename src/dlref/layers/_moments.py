"""The sums behind all normalizations of activations, apart from the loops that must keep their rounding."""

from dlref._compile import kernel

__all__: list[str] = []  # users import from the family


@kernel(sums=True)
def moments(x, c, center):
    # two passes: the mean of squares minus the square of the mean would cancel
    count = x.dtype.type(x.shape[0] * x.shape[2])
    mean = x.dtype.type(0)
    if center:
        for n in range(x.shape[0]):
            row = x[n, c]
            for i in range(row.size):
                mean += row[i]
        mean /= count
    var = x.dtype.type(0)
    for n in range(x.shape[0]):
        row = x[n, c]
        for i in range(row.size):
            var += (row[i] - mean) ** 2
    return mean, var / count


@kernel(sums=True)
def products(dy, row, mean):
    # of the cotangents, and of the cotangents with the distances from the mean
    total = along = row.dtype.type(0)
    for i in range(row.size):
        total += dy[i]
        along += dy[i] * (row[i] - mean)
    return total, along
