// Float arrays on cache-line borders, large ones on huge pages where the system has them.
#pragma once

#include <sys/mman.h>

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
        if (size == 0 || size <= size_) return;
        std::free(data_);
        size_ = 0;
        const std::size_t border = size * sizeof(float) >= HUGE_PAGE ? HUGE_PAGE : 64;
        const std::size_t bytes = (size * sizeof(float) + border - 1) / border * border;
        data_ = static_cast<float*>(std::aligned_alloc(border, bytes));
        if (!data_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (border == HUGE_PAGE) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: few page-table look-ups
#endif
        size_ = size;
    }
    float* data() { return data_; }
    const float* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    static constexpr std::size_t HUGE_PAGE = std::size_t(1) << 21;
    float* data_ = nullptr;
    std::size_t size_ = 0;
};
