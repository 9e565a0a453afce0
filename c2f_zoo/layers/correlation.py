"""Local correlation (partial cost volume) between two feature maps."""

from keras import ops

from c2f_zoo import backend, checks

# Query pixels per block. Larger blocks waste more products off the diagonal band, smaller ones
# make the matrix products too small to be fast; 16 was the best of 8, 16, 32 on CPU.
BLOCK = 16


def local_correlation(query, key, max_displacement=4):
    """Correlate each query pixel with the key pixels in a window around it.

    `cost[y, x, (dy + d) * (2d + 1) + (dx + d)] = mean_c query[y, x, c] * key[y + dy, x + dx, c]`
    for dy, dx in [-d, d]: row-major over dy then dx, zeros outside the frame.

    Computed as one batched matrix product per dy, of blocks of 16 query pixels with the 16 + 2d
    key pixels that they can reach; the diagonal band of each product is the answer.

    Args:
        query: Tensor (B, H, W, C), features of image 1.
        key: Tensor (B, H, W, C), (warped) features of image 2.
        max_displacement: Window radius d in pixels of the feature map, at least 0.

    Returns:
        Tensor (B, H, W, (2d + 1)^2), dtype of `query`.

    Raises:
        ValueError: If the known sizes differ, the rank is not 4, or the displacement is negative.

    Source: PWC-Net (arXiv 1709.02371), equation 3, d = 4.

    Example:
        >>> features = np.ones((1, 5, 7, 8), "float32")
        >>> cost = local_correlation(features, features, max_displacement=1)
        >>> tuple(cost.shape), float(cost[0, 2, 3, 4]), float(cost[0, 0, 0, 0])
        ((1, 5, 7, 9), 1.0, 0.0)
    """
    query, key = ops.convert_to_tensor(query), ops.convert_to_tensor(key)
    max_displacement = checks.whole("max_displacement", max_displacement, least=0)
    shape = checks.same_shape(("query", "key"), (query, key), "(B, H, W, C)", (None,) * 4)
    # A size that one of them knows holds for both; another one is an error at run time.
    query, key = backend.ensure_shape(query, shape), backend.ensure_shape(key, shape)
    batch, height, width, channels = ops.shape(query)
    reach = 2 * max_displacement
    block = BLOCK if shape[2] is None else min(BLOCK, shape[2])
    # Keys that a block of queries can reach span this many whole blocks beyond its own.
    extra = -(-reach // block)
    blocks = (width + block - 1) // block

    query = ops.pad(query * (1.0 / channels), ((0, 0), (0, 0), (0, block - 1), (0, 0)))
    query = ops.slice(query, (0, 0, 0, 0), (batch, height, blocks * block, channels))
    query = ops.reshape(query, (batch, height, blocks, block, channels))
    keys = _key_blocks(key, max_displacement, block, blocks, extra)

    costs = []
    for row in range(reach + 1):
        # A whole row of blocks is one axis of `keys`: the gradient of a slice along the second
        # of three axes is a fast pad, that of a five-axis `[...]` was four times slower than
        # all else together on TensorFlow's CPU.
        row_keys = ops.slice(keys, (0, row, 0), (batch, height, ops.shape(keys)[2]))
        row_keys = ops.reshape(row_keys, (batch, height, blocks, block + reach, channels))
        products = ops.matmul(query, ops.transpose(row_keys, (0, 1, 2, 4, 3)))
        costs.append(_diagonal_band(products, block, reach))
    cost = ops.concatenate(costs, axis=-1)
    cost = ops.reshape(cost, (batch, height, blocks * block, (reach + 1) ** 2))
    return ops.slice(cost, (0, 0, 0, 0), (batch, height, width, (reach + 1) ** 2))


def _key_blocks(key, d, block, blocks, extra):
    """Overlapping blocks of block + 2d keys, (B, H + 2d, blocks * (block + 2d) * C)."""
    batch, height, _, channels = ops.shape(key)
    rows, reach = height + 2 * d, 2 * d
    key = ops.pad(key, ((0, 0), (d, d), (d, block * (extra + 1)), (0, 0)))
    key = ops.slice(key, (0, 0, 0, 0), (batch, rows, (blocks + extra) * block, channels))
    key = ops.reshape(key, (batch, rows, blocks + extra, block * channels))
    parts = []
    for start in range(extra + 1):
        # Each block holds its own keys and as much of those to its right as it can reach.
        taken = min(block, block + reach - start * block) * channels
        parts.append(ops.slice(key, (0, 0, start, 0), (batch, rows, blocks, taken)))
    keys = ops.concatenate(parts, axis=-1)
    return ops.reshape(keys, (batch, rows, blocks * (block + reach) * channels))


def _diagonal_band(products, block, reach):
    """Take `products[..., i, i + k]` for k in 0..reach, from (..., block, block + reach)."""
    # Reading rows as one element longer than they are shifts row i left by i, which makes the
    # diagonals columns: a pad and a reshape, no gather.
    lead, row = ops.shape(products)[:-2], block + reach
    rows = lead[0] * lead[1] * lead[2]
    flat = ops.pad(ops.reshape(products, (rows, block * row)), ((0, 0), (0, block)))
    skewed = ops.reshape(flat, (rows * block, row + 1))
    band = ops.slice(skewed, (0, 0), (rows * block, reach + 1))
    return ops.reshape(band, (*lead, block, reach + 1))
