// Calls every kernel of every instruction set once, with the arguments of a typical layer, for a tool that counts
// instructions. Prints the compiler that built the kernels: another one makes other instructions of them.
#include <cstdio>
#include <type_traits>

#include "kernels/draw.hpp"
#include "kernels/registry.hpp"

namespace {

template <typename Args>
void call(spk::kernels::Entry<Args> spk::kernels::Table::* entry,
          void (*draw_arguments)(spk::fuzz::Draw&, std::remove_const_t<Args>&)) {
    for (const auto* table : spk::kernels::available()) {
        spk::fuzz::Draw draw({}, 1, true);
        std::remove_const_t<Args> args{};
        draw_arguments(draw, args);
        (table->*entry)(args);
    }
}

}  // namespace

int main() {
    using namespace spk::kernels;
#define SPK_KERNEL(name, Args) call<Args>(&Table::name, &spk::fuzz::draw_##name);
#include "kernels/list.def"
#undef SPK_KERNEL
    std::puts(__VERSION__);
}
