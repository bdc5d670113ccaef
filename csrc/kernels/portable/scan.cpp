#include "kernels/portable/vector.hpp"

#include "kernels/generic/scan.hpp"
