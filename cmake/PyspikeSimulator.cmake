# The Python module `pyspike._simulator`: the chip simulator of firmware_sim/. It shares the reader's container with the
# runtime and nothing else; no kernel is in it.
set(simulator ${PROJECT_SOURCE_DIR}/firmware_sim)

file(GLOB simulator_sources CONFIGURE_DEPENDS ${simulator}/*.cpp ${simulator}/bindings/*.cpp)
pybind11_add_module(_simulator MODULE NO_EXTRAS ${simulator_sources})
set_target_properties(_simulator PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_compile_features(_simulator PRIVATE cxx_std_20)
target_include_directories(_simulator PRIVATE ${simulator} ${csrc})
target_compile_options(_simulator PRIVATE ${pyspike_warnings})
target_link_libraries(_simulator PRIVATE pyspike::runtime)
if(PYSPIKE_IN_TREE)
  set_target_properties(_simulator PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_SOURCE_DIR}/pyspike)
endif()
if(SKBUILD AND NOT PYSPIKE_IN_TREE)
  install(TARGETS _simulator LIBRARY DESTINATION pyspike)
endif()
