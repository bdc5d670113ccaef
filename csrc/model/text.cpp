#include "model/text.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace spk {

bool is_utf8(std::string_view text) {
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    for (std::size_t at = 0; at < text.size();) {
        const auto first = static_cast<std::uint8_t>(text[at]);
        const std::size_t length = first < 0x80         ? 1
                                   : first >> 5 == 0x6  ? 2
                                   : first >> 4 == 0xe  ? 3
                                   : first >> 3 == 0x1e ? 4
                                                        : 0;
        if (length == 0 || length > text.size() - at) return false;
        std::uint32_t code = length == 1 ? first : first & (0x7fu >> length);
        for (std::size_t i = 1; i < length; ++i) {
            const auto next = static_cast<std::uint8_t>(text[at + i]);
            if (next >> 6 != 0x2) return false;
            code = code << 6 | (next & 0x3fu);
        }
        if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
        at += length;
    }
    return true;
}

bool all_different(std::vector<std::string_view> names) {
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) == names.end();
}

}  // namespace spk
