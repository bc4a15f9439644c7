// Float arrays on cache-line borders.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

class AlignedFloats {
public:
    AlignedFloats() = default;
    explicit AlignedFloats(std::size_t size) { resize(size); }
    ~AlignedFloats() { std::free(data_); }
    AlignedFloats(const AlignedFloats&) = delete;
    AlignedFloats& operator=(const AlignedFloats&) = delete;
    AlignedFloats(AlignedFloats&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }

    // Contents are undefined after a call that grows the array.
    void resize(std::size_t size) {
        if (size <= size_) return;
        std::free(data_);
        size_ = 0;
        const std::size_t bytes = (size * sizeof(float) + 63) / 64 * 64;
        data_ = static_cast<float*>(std::aligned_alloc(64, bytes));
        if (!data_) throw std::bad_alloc();
        size_ = size;
    }
    float* data() { return data_; }
    const float* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    float* data_ = nullptr;
    std::size_t size_ = 0;
};
