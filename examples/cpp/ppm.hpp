// Reads a photograph in the portable pixmap format (binary "P6", 8 bits a channel).
#pragma once

#include <cctype>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

struct Photograph {
    std::int32_t height = 0, width = 0;
    std::vector<std::uint8_t> pixels;  // [height, width, 3]
};

// One number of the header; whitespace and comments before it are skipped.
inline bool read_number(std::istream& in, std::int32_t* value) {
    while (std::isspace(in.peek()) || in.peek() == '#') {
        if (in.get() == '#') {
            std::string comment;
            std::getline(in, comment);
        }
    }
    return static_cast<bool>(in >> *value);
}

inline bool read_ppm(const std::string& path, Photograph* photograph) {
    std::ifstream in(path, std::ios::binary);
    std::int32_t greatest = 0;
    if (in.get() != 'P' || in.get() != '6') return false;
    if (!read_number(in, &photograph->width) || !read_number(in, &photograph->height) || !read_number(in, &greatest)) {
        return false;
    }
    in.get();  // the one whitespace behind the header
    const bool sane = photograph->width > 0 && photograph->width <= 65535 && photograph->height > 0 &&
                      photograph->height <= 65535 && greatest == 255;
    if (!sane) return false;
    photograph->pixels.resize(std::size_t{3} * photograph->width * photograph->height);
    in.read(reinterpret_cast<char*>(photograph->pixels.data()),
            static_cast<std::streamsize>(photograph->pixels.size()));
    return in.gcount() == static_cast<std::streamsize>(photograph->pixels.size());
}
