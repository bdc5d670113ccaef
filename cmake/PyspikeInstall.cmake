# What is installed: library, headers and CMake package; in a wheel all of it below the package `pyspike`.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

if(SKBUILD)
  set(prefix pyspike/)
  set(CMAKE_INSTALL_LIBDIR lib)
  set(CMAKE_INSTALL_INCLUDEDIR include)
endif()
set(package_dir ${prefix}${CMAKE_INSTALL_LIBDIR}/cmake/pyspike)

# An editable install leaves everything in the build tree and the source tree.
if(NOT SKBUILD_STATE STREQUAL "editable")
  install(TARGETS pyspike_runtime EXPORT pyspike-targets
    ARCHIVE DESTINATION ${prefix}${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${prefix}${CMAKE_INSTALL_INCLUDEDIR})
  install(DIRECTORY ${csrc}/include/spk DESTINATION ${prefix}${CMAKE_INSTALL_INCLUDEDIR} OPTIONAL
    FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
  install(EXPORT pyspike-targets NAMESPACE pyspike:: DESTINATION ${package_dir})
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/pyspike-config.cmake.in
    ${PROJECT_BINARY_DIR}/pyspike-config.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/pyspike-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/pyspike-config.cmake ${PROJECT_BINARY_DIR}/pyspike-config-version.cmake
    DESTINATION ${package_dir})
endif()
if(SKBUILD AND NOT PYSPIKE_IN_TREE)
  install(TARGETS _native LIBRARY DESTINATION pyspike)
endif()
