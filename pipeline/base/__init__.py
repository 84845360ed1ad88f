"""What every room uses: errors, files, paths, parameters, progress, tracking, downloads."""
