"""Turn the user's inputs into photos: command-line names to Items, Items to bytes, bytes to a Photo.

inputs        expand inputs into Items; read lists and object-store folders
item          Item, and reading its bytes from disk, standard input, a URL or an object store
folders       walk folders and glob patterns; recognise pictures by their first bytes
job_table     check the rows of job tables; report every mistake
table_reader  read CSV, TSV and JSON into rows with line numbers
names         formats by suffix; portable, unique names for finals
hot_folder    poll a folder for files that have stopped changing
download      download from public URLs, with limits
url_guard     parse URLs strictly; refuse non-public addresses; redact URLs
load          decode bytes or a Pillow image into a Photo
own_files     recognise the finals, reports, pages and orders that this tool wrote
"""
