package org.vatsim.swim;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Keeps the position outside the process, so that the program's next run goes on from there. */
public interface PositionStore {
    /** Return what was saved last; null: nothing yet. */
    String load() throws IOException;

    /** Keep this text, as a whole or not at all. */
    void save(String text) throws IOException;

    /** Keep it in a file, which is replaced as a whole. */
    static PositionStore file(Path path) {
        return new PositionStore() {
            @Override
            public String load() throws IOException {
                return Files.exists(path) ? Files.readString(path) : null;
            }

            @Override
            public void save(String text) throws IOException {
                Path written = path.resolveSibling(path.getFileName() + ".new");
                Files.writeString(written, text);
                Files.move(written, path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
            }
        };
    }
}
