package google

type workbook struct{ revision int }
