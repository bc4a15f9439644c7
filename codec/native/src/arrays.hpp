// Checked NumPy arrays at the border to Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

namespace nb = nanobind;

template <class T, int ndim> using ArrayIn = nb::ndarray<const T, nb::numpy, nb::ndim<ndim>, nb::c_contig, nb::device::cpu>;
template <class T, int ndim> using ArrayOut = nb::ndarray<T, nb::numpy, nb::ndim<ndim>, nb::c_contig, nb::device::cpu>;

// A new C-contiguous array that Python owns; fill it through .data().
template <class T, int ndim> ArrayOut<T, ndim> new_array(std::initializer_list<std::size_t> shape) {
    std::size_t size = 1;
    for (std::size_t extent : shape) size *= extent;
    std::unique_ptr<T[]> data(new T[size]);
    nb::capsule owner(data.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return ArrayOut<T, ndim>(data.release(), ndim, shape.begin(), owner);
}

inline void require(bool condition, const std::string& message) {
    if (!condition) throw nb::value_error(message.c_str());
}
