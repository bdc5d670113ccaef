#include "kernels/portable/vector.hpp"

#include "kernels/generic/finish.hpp"
