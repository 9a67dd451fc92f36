/* replay.c - a fuzz target without libFuzzer: runs it on each file named, or in a directory named. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static unsigned n_files;

static void replay_file(const char *name)
{
	FILE *file = fopen(name, "rb");
	uint8_t *bytes;
	long size;

	FUZZ_CHECK(file, "%s cannot be read", name);
	FUZZ_CHECK(fseek(file, 0, SEEK_END) == 0, "%s", name);
	size = ftell(file);
	FUZZ_CHECK(size >= 0, "%s", name);
	rewind(file);
	/* A block of just that size, so that the address sanitizer sees its end. */
	bytes = malloc((size_t)size);
	FUZZ_CHECK(bytes || !size, "out of memory");
	FUZZ_CHECK(fread(bytes, 1, (size_t)size, file) == (size_t)size, "%s", name);
	fclose(file);
	/* Told first, so that a crash has a name. */
	fprintf(stderr, "%s\n", name);
	(void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
	free(bytes);
	n_files++;
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay(const char *name)
{
	struct dirent **entries;
	struct stat st;
	int n;

	FUZZ_CHECK(stat(name, &st) == 0, "%s is not there", name);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(name);
		return;
	}
	n = scandir(name, &entries, is_shown, alphasort);
	FUZZ_CHECK(n >= 0, "%s cannot be read", name);
	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", name, entries[i]->d_name);
		replay(path);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	FUZZ_CHECK(n_files, "no file to run");
	fprintf(stderr, "%u files\n", n_files);
	return 0;
}
