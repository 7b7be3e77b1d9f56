# How the sources of the HIP device are compiled for the GPU runtime that FORGE_GPU names.

set(FORGE_ROCM_TARGETS "gfx906;gfx90a;gfx1030" CACHE STRING "AMD GPUs to compile kernels for")
if(FORGE_GPU STREQUAL "rocm")
  # Not CMake's HIP language, which does not find the runtime where Debian installs it.
  find_program(FORGE_HIPCC hipcc PATHS /opt/rocm/bin REQUIRED)
  find_library(FORGE_AMDHIP amdhip64 PATHS /opt/rocm/lib REQUIRED)
  set(FORGE_HIPCC_COMMAND ${FORGE_HIPCC})
  if(FORGE_CCACHE)  # hipcc is a script: ccache is told what it runs, and to ask it for its version
    set(FORGE_HIPCC_COMMAND
      ${CMAKE_COMMAND} -E env CCACHE_COMPILERTYPE=clang CCACHE_DEPEND=1
      "CCACHE_COMPILERCHECK=%compiler% --version" ${FORGE_CCACHE} ${FORGE_HIPCC})
  endif()
elseif(FORGE_GPU STREQUAL "cuda")
  set(CMAKE_CUDA_ARCHITECTURES "90" CACHE STRING "NVIDIA GPUs to compile kernels for")
  if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
  endif()
  enable_language(CUDA)
elseif(NOT FORGE_GPU MATCHES "^(none|emulated)$")
  message(FATAL_ERROR "FORGE_GPU is \"${FORGE_GPU}\"; it must be none, rocm, cuda or emulated")
endif()

# What program and plug-in must agree in: kernels/hip/plugin.h.
file(GLOB FORGE_SHARED_HEADERS CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/kernels/api/*.h ${CMAKE_SOURCE_DIR}/kernels/base/*.h
     ${CMAKE_SOURCE_DIR}/kernels/hip/plugin.h ${CMAKE_SOURCE_DIR}/kernels/hip/hip_device.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${FORGE_SHARED_HEADERS})
set(FORGE_SHARED_DIGESTS)
foreach(HEADER IN LISTS FORGE_SHARED_HEADERS)
  file(SHA256 ${HEADER} DIGEST)
  string(APPEND FORGE_SHARED_DIGESTS ${DIGEST})
endforeach()
string(SHA256 FORGE_SHARED_DIGEST "${FORGE_SHARED_DIGESTS}")
string(SUBSTRING ${FORGE_SHARED_DIGEST} 0 16 FORGE_SHARED_DIGEST)
set(FORGE_PLUGIN_BUILD "${PROJECT_VERSION}-${FORGE_SHARED_DIGEST}")
if(FORGE_SANITIZE)
  string(APPEND FORGE_PLUGIN_BUILD "-sanitized")
endif()

# forge_gpu_library(NAME SOURCES a.hip b.cpp ... HEADERS a.h ... [DEPS forge_x ...])
# forge_library for sources that include kernels/hip/gpu_runtime.h. What links it may include it, in
# an emulated build; with a real runtime only other forge_gpu_library sources may.
#
# A multiplication and an addition are fused where the code says so (fmaf) and nowhere else: the same
# sum must round the same way in every kernel that computes it.
function(forge_gpu_library NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;DEPS" ${ARGN})
  string(TOUPPER ${FORGE_GPU} RUNTIME)
  if(FORGE_GPU STREQUAL "rocm")
    list(TRANSFORM FORGE_ROCM_TARGETS PREPEND "--offload-arch=" OUTPUT_VARIABLE TARGETS)
    set(OBJECTS)
    foreach(SOURCE IN LISTS ARG_SOURCES)
      set(OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${SOURCE}.o)
      get_source_file_property(DEFINITIONS ${SOURCE} COMPILE_DEFINITIONS)
      if(DEFINITIONS)
        list(TRANSFORM DEFINITIONS PREPEND "-D")
      else()
        set(DEFINITIONS)
      endif()
      add_custom_command(
        OUTPUT ${OBJECT} DEPENDS ${SOURCE} DEPFILE ${OBJECT}.d
        COMMAND ${FORGE_HIPCC_COMMAND} -x hip ${TARGETS} -std=c++20 -O3 -DNDEBUG -fPIC -ffp-contract=off
                -Wall -Wextra -Werror -DFORGE_GPU_ROCM ${DEFINITIONS} -I${CMAKE_SOURCE_DIR} -MD -MF ${OBJECT}.d -MT ${OBJECT}
                -c ${CMAKE_CURRENT_SOURCE_DIR}/${SOURCE} -o ${OBJECT}
        COMMENT "Building HIP object ${SOURCE}.o" COMMAND_EXPAND_LISTS VERBATIM)
      list(APPEND OBJECTS ${OBJECT})
    endforeach()
    forge_library(${NAME} SOURCES ${OBJECTS} DEPS ${ARG_DEPS} ${FORGE_AMDHIP})
    set_target_properties(${NAME} PROPERTIES LINKER_LANGUAGE CXX VERIFY_INTERFACE_HEADER_SETS OFF)
    return()
  endif()
  if(FORGE_GPU STREQUAL "emulated")
    list(APPEND ARG_DEPS forge_hip_emulator)
  endif()
  forge_library(${NAME} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  target_compile_definitions(${NAME} PUBLIC FORGE_GPU_${RUNTIME})
  if(FORGE_GPU STREQUAL "cuda")
    set_source_files_properties(${ARG_SOURCES} PROPERTIES LANGUAGE CUDA)
    # Formats and half floats are constexpr functions that host and device share. CMake 3.25 does not
    # know how nvcc is told C++20, and would refuse a standard that is required. nvcc takes an
    # assignment to a [[nodiscard]] type for an unused result (2810); the other compilers check those.
    set_target_properties(${NAME} PROPERTIES CXX_STANDARD_REQUIRED OFF VERIFY_INTERFACE_HEADER_SETS OFF)
    target_compile_options(${NAME} PRIVATE -std=c++20 --expt-relaxed-constexpr -fmad=false
                           -diag-suppress=2810 -Werror=all-warnings)
  else()
    target_compile_options(${NAME} PRIVATE -ffp-contract=off)
    set_source_files_properties(${ARG_SOURCES} PROPERTIES LANGUAGE CXX)
    target_sources(${NAME} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ARG_HEADERS})
  endif()
endfunction()
