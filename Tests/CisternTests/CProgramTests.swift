import Glibc
import Testing

/// A program in C that knows nothing of Swift: cistern.h, and the objects of the Embedded build.
private let clientText = #"""
    #include <errno.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>

    #include "cistern.h"

    /* Allocates until NULL, each block holding the address of the one before it. */
    static size_t fill(cistern_heap *heap, size_t byte_count, void **last) {
      size_t count = 0;
      void *block;
      *last = NULL;
      while ((block = cistern_allocate(heap, byte_count)) != NULL) {
        memcpy(block, last, sizeof *last);
        *last = block;
        count++;
      }
      return count;
    }

    static size_t empty(cistern_heap *heap, size_t byte_count, void *last) {
      size_t count = 0;
      while (last != NULL) {
        void *block = last;
        memcpy(&last, block, sizeof last);
        cistern_deallocate_sized(heap, block, byte_count);
        count++;
      }
      return count;
    }

    int main(int argc, char **argv) {
      cistern_heap_options options;
      cistern_heap *heap = NULL;
      cistern_status status;
      size_t byte_count, filled, emptied, again;
      void *last;
      if (argc != 2) return 9;
      memset(&options, 0, sizeof options);
      options.struct_byte_count = sizeof options;
      options.capacity_bytes = strtoull(argv[1], NULL, 10);
      byte_count = (size_t)(options.capacity_bytes / 256);
      errno = 77;
      status = cistern_heap_create(&options, &heap);
      if (status != CISTERN_OK) {
        printf("%s, errno %d\n", cistern_status_text(status), errno);
        return 1;
      }
      filled = fill(heap, byte_count, &last);
      emptied = empty(heap, byte_count, last);
      again = fill(heap, byte_count, &last);
      if (empty(heap, byte_count, last) != again || !cistern_verify(heap)) return 2;
      cistern_trim(heap);
      cistern_heap_destroy(heap);
      printf("%zu %zu %zu errno %d\n", filled, emptied, again, errno);
      return 0;
    }

    """#

private struct Unwritable: Error { var path: String }

extension FaceSuites {
    /// Not in the shortened runs, which are those with sanitizers and with coverage: they are built differently.
    @Suite(.enabled(if: !hasSanitizer && !isSmall))
    struct CProgramTests {
        static let compilers = [
            "gcc -std=c11 -Wall -Wextra -Werror -Wpedantic", "clang -std=c11 -Wall -Wextra -Werror",
            "g++ -x c++ -std=c++17 -Wall -Wextra -Werror", "clang++ -x c++ -std=c++17 -Wall -Wextra -Werror",
        ]

        @Test func programsInC() throws {
            guard shell("command -v cc && command -v swiftc").status == 0 else {
                print("skipped: cc and swiftc are needed to build a program in C")
                return
            }
            var template = Array("/tmp/cistern-c-test-XXXXXX".utf8CString)
            // mkdtemp writes into the array, which ends in a zero byte.
            let isMade = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
            try #require(isMade)
            let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            defer { #expect(shell("rm -rf '\(folder)'").status == 0) }
            let objects = shell("'\(packageFolder)/scripts/build-embedded.sh' '\(folder)/objects'")
            try #require(objects.status == 0, "\(objects.output)")
            try write(clientText, to: "\(folder)/client.c")
            for compiler in Self.compilers { try runClient(compiler, folder) }
        }

        private func runClient(_ compiler: String, _ folder: String) throws {
            let program = compiler.prefix { $0 != " " }
            guard shell("command -v \(program)").status == 0 else {
                print("skipped: there is no \(program)")
                return
            }
            let include = "\(packageFolder)/CShims/CCistern/include"
            let built = shell(
                "cd '\(folder)' && \(compiler) -O1 -I '\(include)' -c client.c -o client.o && cc client.o objects/joined.o"
                    + " -o client -lpthread")
            try #require(built.status == 0, "\(compiler): \(built.output)")
            // 4 MiB in a process of 9000 KiB; 16 GiB in one of 17 GiB; 16 GiB in one of 16 GiB, which has other things, too.
            try expectFilling(shell("ulimit -v 9000 && '\(folder)/client' \(4 << 20)"), compiler)
            try expectFilling(shell("ulimit -v 17825792 && '\(folder)/client' \(16 << 30)"), compiler)
            let refused = shell("ulimit -v 16777216 && '\(folder)/client' \(16 << 30)")
            #expect(refused.output == "the system refused to reserve the capacity, errno 77\n")
            #expect(refused.status == 1 << 8)
            #expect(shell("'\(folder)/client' 1000").output == "the capacity is below 1 MiB, errno 77\n")
        }

        /// Of 256 blocks that would be all of the capacity, nearly all fit, and as many the second time.
        private func expectFilling(_ run: (status: Int32, output: String), _ compiler: String) throws {
            #expect(run.status == 0, "\(compiler): \(run.output)")
            let words = run.output.split { $0 == " " || $0 == "\n" }
            try #require(words.count == 5, "\(compiler): \(run.output)")
            let filled = try #require(Int(words[0]))
            #expect(filled >= 240 && filled < 256)
            #expect(words[1] == words[0])
            #expect(words[2] == words[0])
            #expect(words[3...] == ["errno", "77"])
        }

        private func write(_ text: String, to path: String) throws {
            guard let file = unsafe fopen(path, "w") else { throw Unwritable(path: path) }
            let code = unsafe fputs(text, file)
            guard unsafe fclose(file) == 0, code >= 0 else { throw Unwritable(path: path) }
        }
    }
}
