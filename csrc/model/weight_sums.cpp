#include "model/weight_sums.hpp"

#include <algorithm>
#include <array>

namespace spk {
namespace {

// Every byte of a model comes by here. No branch depends on a weight, and sums of 256 of them fit 16 bits, so that
// compilers make vectors of the loop.
template <int columns>
void sum_columns(const std::int8_t* weights, std::int64_t rows, std::int64_t stride, std::int64_t* positive,
                 std::int64_t* negative) {
    for (std::int64_t row = 0; row < rows;) {
        const std::int64_t end = std::min(rows, row + 256);
        std::array<std::int16_t, columns> total{}, below{};
        for (; row < end; ++row) {
            for (int i = 0; i < columns; ++i) {
                const std::int16_t w = weights[row * stride + i];
                total[i] = static_cast<std::int16_t>(total[i] + w);
                below[i] = static_cast<std::int16_t>(below[i] + (w & (w >> 15)));
            }
        }
        for (int i = 0; i < columns; ++i) {
            positive[i] += total[i] - below[i];
            negative[i] += below[i];
        }
    }
}

// Rows of 16 without gaps, by twos: compilers take a loop of 16 to pieces instead of making vectors of it.
void sum_pairs(const std::int8_t* weights, std::int64_t rows, std::int64_t* positive, std::int64_t* negative) {
    std::array<std::int64_t, 32> plus{}, minus{};
    sum_columns<32>(weights, rows / 2, 32, plus.data(), minus.data());
    for (int i = 0; i < 16; ++i) {
        positive[i] += plus[i] + plus[16 + i];
        negative[i] += minus[i] + minus[16 + i];
    }
    sum_columns<16>(weights + rows / 2 * 32, rows % 2, 16, positive, negative);
}

}  // namespace

void sum_weights(const std::int8_t* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                 std::int64_t* positive, std::int64_t* negative) {
    if (columns == 16 && stride == 16) return sum_pairs(weights, rows, positive, negative);
    const auto sum = columns == 64 ? sum_columns<64> : columns == 32 ? sum_columns<32> : sum_columns<16>;
    sum(weights, rows, stride, positive, negative);
}

}  // namespace spk
