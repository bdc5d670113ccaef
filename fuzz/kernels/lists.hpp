// Event lists at random, as the kernels that gather read them.
#pragma once

#include "kernels/draw.hpp"

namespace spk::fuzz {

// Event lists of one input row: numbers of the columns' events by rising column, plane by plane, and where they start.
struct Lists {
    const std::uint16_t* events;
    const std::uint32_t* offsets;
};

inline Lists lists_of(Draw& draw, std::size_t width, std::size_t block, std::size_t planes, std::size_t plane_step) {
    auto* offsets = draw.array<std::uint32_t>("offsets", planes * plane_step);
    auto* events = draw.array<std::uint16_t>("events", width * block * planes);
    std::uint32_t count = 0;
    for (std::size_t plane = 0; plane < planes; ++plane) {
        const std::uint32_t density = draw.density();
        for (std::size_t column = 0; column < width; ++column) {
            offsets[plane * plane_step + column] = count;
            for (std::size_t c = 0; c < block; ++c) {
                if (draw.happens(density)) events[count++] = static_cast<std::uint16_t>(column * block + c);
            }
        }
        offsets[plane * plane_step + width] = count;
    }
    return {events, offsets};
}

}  // namespace spk::fuzz
