// Names in a model image.
#pragma once

#include <string_view>
#include <vector>

namespace spk {

// Whether `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

bool all_different(std::vector<std::string_view> names);

}  // namespace spk
