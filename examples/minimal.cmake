# CMakeLists.txt of a program that uses the installed engine (this file is installed under that name beside minimal.c):
#     cmake -B build -DCMAKE_PREFIX_PATH=WHERE_FRAMEGATE_IS && cmake --build build
cmake_minimum_required(VERSION 3.18)
project(minimal C)
set(CMAKE_C_STANDARD 11)

find_package(framegate REQUIRED)
add_executable(minimal minimal.c)
target_link_libraries(minimal PRIVATE framegate::framegate) # framegate::framegate_shared for the shared library
