// A main for compilers without libFuzzer: fuzz_model [-runs=N] [-seed=N] file...
//
// Runs each file as it is, then N random mutations of them. Prints how many images the reader accepted.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read_file(const char* path) {
    std::ifstream in(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(in), {});
}

// A few aligned fields get an interesting number or a small change; sometimes the end is cut off.
void mutate(Bytes* bytes, std::mt19937_64* random) {
    constexpr std::uint64_t kNumbers[] = {0,   1,   2,     3,        64,       127,      128,
                                          255, 256, 65535, 1u << 20, 1u << 30, 1u << 31, ~0ull};
    const auto below = [&](std::uint64_t limit) { return limit == 0 ? 0 : (*random)() % limit; };
    for (std::uint64_t changes = 1 + below(3); changes > 0; --changes) {
        const std::size_t size = std::size_t{1} << below(4);
        if (bytes->size() < 64 + size) return;
        const std::size_t at = 64 + below((bytes->size() - 64) / size) * size;
        std::uint64_t value = 0;
        std::memcpy(&value, bytes->data() + at, size);
        switch (below(4)) {
            case 0:
                value = kNumbers[below(std::size(kNumbers))];
                break;
            case 1:
                value ^= std::uint64_t{1} << below(8 * size);
                break;
            case 2:
                value += below(5) - 2;
                break;
            default:
                value = (*random)();
                break;
        }
        std::memcpy(bytes->data() + at, &value, size);
    }
    if (below(50) == 0) bytes->resize(below(bytes->size()));
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t runs = 0, seed = 0, accepted = 0;
    std::vector<Bytes> corpus;
    for (int i = 1; i < argc; ++i) {
        if (std::strncmp(argv[i], "-runs=", 6) == 0) {
            runs = std::strtoull(argv[i] + 6, nullptr, 10);
        } else if (std::strncmp(argv[i], "-seed=", 6) == 0) {
            seed = std::strtoull(argv[i] + 6, nullptr, 10);
        } else {
            corpus.push_back(read_file(argv[i]));
        }
    }
    for (const Bytes& bytes : corpus) accepted += LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    std::printf("%llu of %zu files accepted\n", static_cast<unsigned long long>(accepted), corpus.size());
    std::mt19937_64 random(seed);
    accepted = 0;
    for (std::uint64_t i = 0; i < runs && !corpus.empty(); ++i) {
        Bytes bytes = corpus[random() % corpus.size()];
        mutate(&bytes, &random);
        accepted += LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%llu of %llu mutants accepted\n", static_cast<unsigned long long>(accepted),
                static_cast<unsigned long long>(runs));
    return EXIT_SUCCESS;
}
