# The Python module `pyspike._native`, with every kernel inside.

# Work in the source tree uses the environment that the Makefile made, unless told otherwise.
if(NOT SKBUILD AND NOT DEFINED Python_EXECUTABLE AND NOT DEFINED ENV{VIRTUAL_ENV}
   AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
  set(Python_EXECUTABLE ${PROJECT_SOURCE_DIR}/.venv/bin/python)
endif()
set(Python_FIND_VIRTUALENV FIRST)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
set(PYBIND11_FINDPYTHON ON)
execute_process(COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
  OUTPUT_VARIABLE pybind11_hint OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
find_package(pybind11 2.13 CONFIG REQUIRED HINTS ${pybind11_hint})

file(GLOB binding_sources CONFIGURE_DEPENDS ${csrc}/bindings/*.cpp)
# NO_EXTRAS: pybind11 would otherwise strip the module and turn on link-time optimisation.
pybind11_add_module(_native MODULE NO_EXTRAS ${binding_sources})
set_target_properties(_native PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_compile_features(_native PRIVATE cxx_std_20)
target_include_directories(_native PRIVATE ${csrc})
target_compile_options(_native PRIVATE ${pyspike_warnings})
target_compile_definitions(_native PRIVATE PYSPIKE_VERSION="${PROJECT_VERSION}")
# The whole archive: kernels are found through their registry, which the linker cannot see as a use.
target_link_libraries(_native PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,pyspike::runtime>)
if(PYSPIKE_IN_TREE)
  set_target_properties(_native PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_SOURCE_DIR}/pyspike)
endif()
