# The static library `pyspike::runtime`: everything under csrc/ but the Python bindings.
find_package(Threads REQUIRED)

set(csrc ${PROJECT_SOURCE_DIR}/csrc)

file(GLOB_RECURSE core_sources CONFIGURE_DEPENDS ${csrc}/model/*.cpp ${csrc}/runtime/*.cpp ${csrc}/tasks/*.cpp)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${csrc}/kernels/*.cpp ${csrc}/kernels/portable/*.cpp)

add_library(pyspike_runtime STATIC ${core_sources})
add_library(pyspike::runtime ALIAS pyspike_runtime)
set_target_properties(pyspike_runtime PROPERTIES
  EXPORT_NAME runtime
  POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  LINKER_LANGUAGE CXX)
target_compile_features(pyspike_runtime PUBLIC cxx_std_20)
target_include_directories(pyspike_runtime
  PUBLIC $<BUILD_INTERFACE:${csrc}/include>
  PRIVATE ${csrc})
target_link_libraries(pyspike_runtime PUBLIC Threads::Threads)
target_compile_definitions(pyspike_runtime PRIVATE PYSPIKE_VERSION="${PROJECT_VERSION}")

set(pyspike_warnings
  $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-Wall;-Wextra;-Wshadow;-Wconversion;-Wno-sign-conversion>
  $<$<AND:$<BOOL:${PYSPIKE_WERROR}>,$<CXX_COMPILER_ID:GNU,Clang,AppleClang>>:-Werror>)
target_compile_options(pyspike_runtime PRIVATE ${pyspike_warnings})

# Kernels must not call out of their section: gcc turns copy loops into memcpy and clear loops into memset unless told not
# to, and vectorising loops by itself it brings multiplications back. Link-time optimisation stays off for the same reason: it
# would compile them again with other options. Sums wrap, in vectors too. Addresses are not computed in vector registers
# (-mno-stv): a list could not be read before they came back.
set(kernel_options
  $<$<CXX_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns;-fno-tree-vectorize>
  -fno-stack-protector
  -fwrapv
  $<$<CXX_COMPILER_ID:Clang,AppleClang>:-fno-builtin>
  -fno-exceptions -fno-rtti)

# One folder of csrc/kernels per instruction set, compiled for that set and called only after a look at the CPU.
# A folder that is compiled defines PYSPIKE_ISA_<NAME>=1 in every source of the library.
function(pyspike_add_kernels sources)
  target_sources(pyspike_runtime PRIVATE ${sources})
  set_property(SOURCE ${sources} TARGET_DIRECTORY pyspike_runtime APPEND PROPERTY COMPILE_OPTIONS ${kernel_options} ${ARGN})
  if(PYSPIKE_BREAK_ADDITION_ONLY)
    set_property(SOURCE ${sources} TARGET_DIRECTORY pyspike_runtime
      APPEND PROPERTY COMPILE_DEFINITIONS PYSPIKE_BREAK_ADDITION_ONLY=1)
  endif()
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND kernel_options $<$<CXX_COMPILER_ID:GNU>:-mno-stv>)
endif()

if(kernel_sources)
  pyspike_add_kernels("${kernel_sources}")
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  file(GLOB avx2_sources CONFIGURE_DEPENDS ${csrc}/kernels/avx2/*.cpp)
  if(avx2_sources)
    pyspike_add_kernels("${avx2_sources}" -mavx2)
    target_compile_definitions(pyspike_runtime PRIVATE PYSPIKE_ISA_AVX2=1)
  endif()
  file(GLOB avx512_sources CONFIGURE_DEPENDS ${csrc}/kernels/avx512/*.cpp)
  if(avx512_sources)
    # gcc 12 warns of its own header, whose intrinsics leave lanes undefined on purpose.
    pyspike_add_kernels("${avx512_sources}" -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi -mavx512vbmi2
      $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_compile_definitions(pyspike_runtime PRIVATE PYSPIKE_ISA_AVX512=1)
  endif()
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  file(GLOB neon_sources CONFIGURE_DEPENDS ${csrc}/kernels/neon/*.cpp)
  pyspike_add_kernels("${neon_sources}")
  target_compile_definitions(pyspike_runtime PRIVATE PYSPIKE_ISA_NEON=1)
endif()
