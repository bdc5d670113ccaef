// Windows along one axis of a map, for conv2d and max_pool.
#pragma once

#include <cstdint>

namespace spk {

// How many windows of `reach` positions fit at distances of `stride` into `size` padded positions; 0 where none does.
inline std::int64_t window_count(std::int64_t size, std::int64_t before, std::int64_t after, std::int64_t reach,
                                 std::int64_t stride) {
    const std::int64_t room = size + before + after - reach;
    return room < 0 ? 0 : room / stride + 1;
}

}  // namespace spk
