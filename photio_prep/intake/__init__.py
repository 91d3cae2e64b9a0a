"""Turn the user's inputs into photos: command-line names to Items, Items to bytes, bytes to a Photo.

inputs        expand inputs into Items; read lists and object-store folders
item          Item, the file names of photos and of our own outputs
folders       walk folders and glob patterns
job_table     check the rows of job tables; report every mistake
table_reader  read CSV and JSONL into rows with line numbers
names         portable, unique names for finals
hot_folder    poll a folder for files that have stopped changing
read          read an Item from disk, standard input, a URL or an object store
download      download from public URLs, with limits
url_guard     parse URLs strictly; refuse non-public addresses; redact URLs
load          decode bytes or a Pillow image into a Photo
own_files     recognise the reports and pages that this tool wrote
"""
