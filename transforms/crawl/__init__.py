"""Crawl files to pages: file formats, compression, HTTP, encodings and rights."""
