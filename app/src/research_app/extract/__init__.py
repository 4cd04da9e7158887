"""Text and title out of files that nobody here wrote."""

# Part of a PDF's content hash: raise it when extraction improves, and the next ingest reads
# the files again.
EXTRACTION = 2

# The same for captions, transcripts and how they are cut into passages.
TRANSCRIPTION = 2
