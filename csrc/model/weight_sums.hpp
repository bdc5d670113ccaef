// Sums of weights by their sign: what bounds of weighted sums are made of.
#pragma once

#include <cstdint>

namespace spk {

// Adds to positive[0..columns-1] the positive weights of each column and to negative[0..columns-1] the negative ones,
// of `rows` rows, one each `stride` bytes. `columns` is 16, 32 or 64, as slabs are wide.
void sum_weights(const std::int8_t* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                 std::int64_t* positive, std::int64_t* negative);

}  // namespace spk
