#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>

#include "bindings/bindings.hpp"

namespace spk::bindings {
namespace {

constexpr std::size_t kHugePage = std::size_t{1} << 21;

}  // namespace

AlignedBytes::AlignedBytes(std::size_t size) : size_(size) {
    const bool large = size >= 2 * kHugePage;
    const std::size_t page = large ? kHugePage : 64;
    if (size > SIZE_MAX - page) throw std::bad_alloc();
    const std::size_t room = std::max<std::size_t>(1, (size + page - 1) / page) * page;
    data_ = {static_cast<std::byte*>(::operator new(room, std::align_val_t{page})), Free{std::align_val_t{page}}};
#ifdef MADV_HUGEPAGE
    // A wish: where it is refused, pages are small.
    if (large) static_cast<void>(::madvise(data_.get(), room, MADV_HUGEPAGE));
#endif
}

}  // namespace spk::bindings
