// Vectors of 32 bytes on a CPU with AVX-512, for kernels whose rows do not fill 64.
#pragma once

#define SPK_ISA avx512_half
#define SPK_SET avx512
#include "kernels/avx2/vector.hpp"
