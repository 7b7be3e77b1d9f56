# Compiler settings shared by every target, and the functions that declare them.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
include(GNUInstallDirs)
# Where systemd's ConfigurationDirectory= looks, whatever the prefix.
set(FORGE_SYSCONFDIR /etc CACHE PATH "Where forge/config.yaml is installed")
find_package(Threads REQUIRED)

find_program(FORGE_CCACHE ccache)
if(FORGE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FORGE_CCACHE})
endif()

# Every target of the project links this: include root, warnings as errors, sanitizers. The compilers
# of GPU runtimes warn about their own headers, so they get their flags in ForgeGpu.cmake.
add_library(forge_options INTERFACE)
target_include_directories(forge_options INTERFACE ${CMAKE_SOURCE_DIR})
set(FORGE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast
    -Woverloaded-virtual -Wextra-semi -Werror)
target_compile_options(forge_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${FORGE_WARNINGS}>")
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(forge_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety>)
else()
  # g++ 12 sees overlapping copies in `"text" + std::string()` (GCC bug 105651).
  target_compile_options(forge_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(FORGE_SANITIZE)
  target_compile_options(forge_options INTERFACE -fsanitize=${FORGE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # g++ 12 sees some under sanitizers (GCC bug 105562)
    target_compile_options(forge_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
  endif()
  target_link_options(forge_options INTERFACE -fsanitize=${FORGE_SANITIZE})
endif()
# mold or lld where present: linking gRPC with bfd dominates an incremental build.
if(NOT FORGE_SANITIZE)
  find_program(FORGE_MOLD mold)
  if(FORGE_MOLD)
    target_link_options(forge_options INTERFACE -fuse-ld=mold)
  endif()
endif()

# forge_library(NAME SOURCES a.cpp ... [HEADERS a.h ...] [DEPS forge_x ...] [PRIVATE_DEPS pkg ...])
# A static library of one folder. DEPS are the folders whose headers its headers may include.
function(forge_library NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${NAME} STATIC ${ARG_SOURCES})
    target_link_libraries(${NAME} PUBLIC forge_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
    target_sources(${NAME} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ARG_HEADERS})
    set_target_properties(${NAME} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  else()
    add_library(${NAME} INTERFACE ${ARG_HEADERS})
    target_link_libraries(${NAME} INTERFACE forge_options ${ARG_DEPS})
  endif()
endfunction()

# forge_test(NAME SOURCES x_test.cpp ... [DEPS forge_x ...] [LABELS unit] [TIMEOUT seconds] [SHARDS n])
# A GoogleTest binary whose cases ctest runs one by one, or as n tests NAME_1, NAME_2, ...: where there are thousands,
# to start a process for each takes longer than they do.
function(forge_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT;SHARDS" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE forge_options ${ARG_DEPS} GTest::gmock_main)
  target_compile_definitions(${NAME} PRIVATE FORGE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             FORGE_CONFORMANCE_DEFAULT_DIR="${FORGE_CONFORMANCE_DIR}")
  if(NOT ARG_SHARDS)
    gtest_discover_tests(${NAME} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
    return()
  endif()
  foreach(SHARD RANGE 1 ${ARG_SHARDS})
    math(EXPR INDEX "${SHARD} - 1")
    add_test(NAME ${NAME}_${SHARD} COMMAND ${NAME} --gtest_brief=1)
    set_tests_properties(${NAME}_${SHARD} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT
                         "GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${INDEX}")
  endforeach()
endfunction()
