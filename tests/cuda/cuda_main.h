// A program that launches a kernel as a file says: for sanitizers, which want a program of their own.
//
// What it does: reads memory blocks, each into an allocation of exactly its size, and parameters that are numbers or places in such blocks;
// runs the launch; writes the blocks back. Exit code 3: the emulator's own error, with its text on stderr.

#pragma once

#include "cuda_emulator.h"

struct Launcher {
    const char* name;
    int (*launch)(unsigned grid, unsigned block, unsigned shared, int schedule, void** parameters);
};

inline int64_t read_number(FILE* file)
{
    int64_t value = 0;
    if (std::fread(&value, sizeof value, 1, file) != 1) {
        std::abort();
    }
    return value;
}

inline void* read_bytes(FILE* file, int64_t size)
{
    void* bytes = std::malloc(size ? size : 1);
    if (size && std::fread(bytes, 1, size, file) != static_cast<size_t>(size)) {
        std::abort();
    }
    return bytes;
}

inline int run_file(const Launcher* launchers, int count, const char* path)
{
    FILE* file = std::fopen(path, "r+b");
    if (file == nullptr) {
        return 2;
    }
    char name[128] = {};
    void* text = read_bytes(file, sizeof name);
    std::memcpy(name, text, sizeof name - 1);
    std::free(text);
    const int64_t grid = read_number(file), block = read_number(file), shared = read_number(file), schedule = read_number(file);
    std::vector<void*> memory;
    std::vector<int64_t> sizes, places;
    for (int64_t left = read_number(file); left > 0; --left) {
        sizes.push_back(read_number(file));
        places.push_back(std::ftell(file));
        memory.push_back(read_bytes(file, sizes.back()));
    }
    std::vector<void*> parameters;
    for (int64_t left = read_number(file); left > 0; --left) {
        const int64_t owner = read_number(file), value = read_number(file);
        const int64_t bytes = read_number(file);  // of a map, whose second word is the place, and 0 of what is a number or a place itself
        int64_t* held = static_cast<int64_t*>(std::aligned_alloc(128, 128));
        const int64_t given = owner < 0 ? value : reinterpret_cast<int64_t>(memory[owner]) + value;
        if (bytes > 0 && std::fread(held, 1, bytes, file) != static_cast<size_t>(bytes)) {
            std::abort();
        }
        held[bytes > 0] = given;
        parameters.push_back(held);
    }
    int (*launch)(unsigned, unsigned, unsigned, int, void**) = nullptr;
    for (int at = 0; at < count; ++at) {
        launch = std::strcmp(launchers[at].name, name) == 0 ? launchers[at].launch : launch;
    }
    if (launch == nullptr || launch(grid, block, shared, static_cast<int>(schedule), parameters.data())) {
        std::fprintf(stderr, "EMULATOR: %s\n", emulator_error());
        std::fflush(stderr);
        std::_Exit(3);
    }
    for (size_t at = 0; at < memory.size(); ++at) {
        std::fseek(file, places[at], SEEK_SET);
        std::fwrite(memory[at], 1, sizes[at], file);
    }
    std::fclose(file);
    return 0;
}
